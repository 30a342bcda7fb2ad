"""The HTTP side: turns texts into jobs and tells what became of them."""

"""The pack format: the model directory that a worker serves."""

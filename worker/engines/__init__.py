"""The engines that run a pack's model, and the checks around them."""

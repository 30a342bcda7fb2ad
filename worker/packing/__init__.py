"""Packing: convert a checkpoint to a pack, measure it, check it again. Making a pack needs torch and NNCF."""

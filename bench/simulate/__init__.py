"""A simulation of the service at sizes that no machine here has, fed by what its parts cost alone."""

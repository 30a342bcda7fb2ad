"""Making and checking packs; needs torch and NNCF where one is made."""

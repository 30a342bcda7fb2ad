"""The command `sentiq`."""

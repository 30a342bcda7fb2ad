"""HTTP servers in front of one app, which does what the API does for one text, but scores nothing."""

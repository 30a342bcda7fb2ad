"""The OpenAPI document against the live service: `make contract`."""

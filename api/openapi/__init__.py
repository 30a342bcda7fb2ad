"""The OpenAPI document, generated from routes, models of bodies and queries."""

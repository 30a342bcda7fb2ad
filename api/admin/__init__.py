"""Commands for operators, beside their calls over HTTP."""

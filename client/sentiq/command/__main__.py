"""`python -m sentiq.command` is `sentiq`."""

import sys

from sentiq.command.main import main

if __name__ == "__main__":
    sys.exit(main())

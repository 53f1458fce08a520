"""`python -m jaxloss.report WORKDIR`, see `jaxloss.cli.reporting`."""

from jaxloss.cli.reporting import main
from jaxloss.core.interrupts import leave

if __name__ == "__main__":
    leave(main())

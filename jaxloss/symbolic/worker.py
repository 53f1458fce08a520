"""The process in which SymPy simplifies: requests come in on standard input, proposals go out, one JSON text per line.

It can be killed at any moment, since SymPy cannot be interrupted otherwise. It never imports JAX, so that it starts quickly and
takes no accelerator.
"""

import json
import sys
from typing import TextIO

from jaxloss.symbolic.proposals import propose


def serve(requests: TextIO, replies: TextIO) -> None:
    """Answers requests until the input ends: a line per proposal, then `{"done": true}` or `{"error": ...}`."""

    def reply(**content) -> None:
        replies.write(json.dumps(content) + "\n")
        replies.flush()

    reply(ready=True)
    for line in requests:
        try:
            for method, text in propose(**json.loads(line)):
                reply(method=method, text=text)
        except Exception as error:  # SymPy raises all sorts on unusual expressions: the formula then stays as it is
            reply(error=f"{type(error).__name__}: {error}"[:200])
        else:
            reply(done=True)


if __name__ == "__main__":
    serve(sys.stdin, sys.stdout)

"""The process in which SymPy thinks: requests come in on standard input, answers go out, one JSON text per line.

It can be killed at any moment, since SymPy cannot be interrupted otherwise. It never imports JAX, so that it starts quickly and
takes no accelerator.
"""

import json
import sys
from typing import TextIO

from jaxloss.symbolic.proposals import propose
from jaxloss.symbolic.singularities import singularities

# What may be asked, by the name of the request; without one, for proposals.
QUESTIONS = {"proposals": propose, "singularities": singularities}


def serve(requests: TextIO, replies: TextIO) -> None:
    """Answers requests until the input ends: a line per answer, then `{"done": true}` or `{"error": ...}`."""

    def reply(**content) -> None:
        replies.write(json.dumps(content) + "\n")
        replies.flush()

    reply(ready=True)
    for line in requests:
        try:
            request = json.loads(line)
            for method, text in QUESTIONS[request.pop("question", "proposals")](**request):
                reply(method=method, text=text)
        except Exception as error:  # SymPy raises all sorts on unusual expressions: the formula then stays as it is
            reply(error=f"{type(error).__name__}: {error}"[:200])
        else:
            reply(done=True)


if __name__ == "__main__":
    serve(sys.stdin, sys.stdout)

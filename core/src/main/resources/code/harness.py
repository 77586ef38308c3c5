"""Loads a candidate's source and calls its function, as asked line by line on standard input.

It knows arguments, never what is expected of them: a candidate that takes it over still has to compute the values.
"""

import json
import os
import sys
import types


def main():
    # Answers leave by a descriptor of their own. What the candidate prints goes where errors go; it reads nothing.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    requests = os.fdopen(os.dup(0), "r", encoding="utf-8")
    os.dup2(2, 1)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)

    def answer(request, **what):
        answers.write(json.dumps({"nonce": request["nonce"], **what}, allow_nan=False) + "\n")
        answers.flush()

    def failed(request, error):
        answer(request, error=f"{type(error).__name__}: {error}"[:500])

    request = json.loads(requests.readline())
    answer(request, value=None)

    request = json.loads(requests.readline())
    try:
        module = types.ModuleType("candidate")
        sys.modules["candidate"] = module
        exec(compile(request["source"], "candidate.py", "exec"), module.__dict__)
        owner, _, name = request["function"].rpartition(".")
        function = getattr(getattr(module, owner)() if owner else module, name)
    except BaseException as error:
        return failed(request, error)
    answer(request, value=None)

    for line in requests:
        request = json.loads(line)
        try:
            answer(request, value=function(*request["arguments"]))
        except BaseException as error:
            failed(request, error)


main()

"""Runs the tests of one module on MicroPython; a line of JSON for each."""

import gc
import io
import json
import sys


def main(name):
    module = __import__(name)
    for test in sorted(dir(module)):
        if not test.startswith("test_"):
            continue
        gc.collect()
        fault = ""
        try:
            getattr(module, test)()
        except Exception as error:
            text = io.StringIO()
            sys.print_exception(error, text)
            fault = text.getvalue()
        print("@TEST " + json.dumps([test, fault]))


main(sys.argv[1])

"""Compares what the end-to-end suite saw the functions do with what the template's tests take for used.

    python tests/template/seen.py target/cloud/used-actions.json

Run it after the whole suite. An action that was seen has to stand in `used-actions.json` or, where chance decides
whether it is seen, among the excuses of `unseen.py`. An action that stands in `used-actions.json` has to have been seen.
"""

import json
import sys
from pathlib import Path

import unseen


def differences(seen, used, excused):
    for function in sorted(set(seen) | set(used)):
        there, known = set(seen.get(function, [])), set(used.get(function, []))
        for action in sorted(there - known - set(excused.get(function, {}))):
            yield f"{function} calls {action}: add it to used-actions.json, and see that its role allows it"
        for action in sorted(known - there):
            yield f"{function} was not seen to call {action}: take it out of used-actions.json, and out of its role"


def main():
    used = json.loads(Path(__file__).with_name("used-actions.json").read_text())
    seen = json.loads(Path(sys.argv[1]).read_text())
    found = list(differences(seen, used, unseen.UNSEEN))
    print("\n".join(found) or f"seen: {sum(map(len, used.values()))} actions of {len(used)} functions, as written down")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())

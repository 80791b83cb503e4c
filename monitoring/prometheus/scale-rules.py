#!/usr/bin/env python3
"""Makes the shipped rules quicker, for trying them out and for tests: the same expressions, other times.

    scale-rules.py --durations 60 --ages 3600 < stele-alerts.rules.yml > quick.rules.yml

--durations N   `for: 5m` and ranges like [15m] become N times shorter, but not shorter than 1s and 5s
--ages N        thresholds written as seconds, "2 * 60", "24 * 3600", "21 * 86400", become N times smaller, but not less than 3
"""
import argparse, math, re, sys

SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def scale(text, durations, ages):
    def shorter(match, least):
        return f"{max(least, math.ceil(int(match.group(2)) * SECONDS[match.group(3)] / durations))}s"
    text = re.sub(r"(for: )(\d+)([smhd])$", lambda m: m.group(1) + shorter(m, 1), text, flags=re.M)
    text = re.sub(r"(\[)(\d+)([smhd])\]", lambda m: m.group(1) + shorter(m, 5) + "]", text)
    return re.sub(r"\b(\d+(?:\.\d+)?) \* (60|3600|86400)\b", lambda m: f"{max(3, float(m.group(1)) * int(m.group(2)) / ages):g}", text)


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--durations", type=float, required=True)
    arguments.add_argument("--ages", type=float, required=True)
    given = arguments.parse_args()
    sys.stdout.write(scale(sys.stdin.read(), given.durations, given.ages))

"""Reads mmiotrace's text as Documentation/trace/mmiotrace.rst tells it, and prints what it says as JSON.

Nothing here is taken from what writes such files. A line that the documentation doesn't know is an error.
"""

import json
import re
import sys

HEX = r"0x[0-9a-f]+"
TIME = r"\d+\.\d{6}"
LINES = {
    "VERSION": re.compile(r"VERSION (?P<version>\d{8})"),
    "PCIDEV": re.compile(r"PCIDEV (?P<place>[0-9a-f]{4}) (?P<ids>[0-9a-f]{8}) (?P<irq>[0-9a-f]+)"
                         r"(?P<bars>( [0-9a-f]+){7})(?P<lengths>( [0-9a-f]+){7}) (?P<driver>\S*)"),
    "R": re.compile(rf"R (?P<width>\d+) (?P<time>{TIME}) (?P<map>\d+) (?P<physical>{HEX}) (?P<value>{HEX}) "
                    rf"(?P<pc>{HEX}) (?P<pid>\d+)"),
    "W": re.compile(rf"W (?P<width>\d+) (?P<time>{TIME}) (?P<map>\d+) (?P<physical>{HEX}) (?P<value>{HEX}) "
                    rf"(?P<pc>{HEX}) (?P<pid>\d+)"),
    "MAP": re.compile(rf"MAP (?P<time>{TIME}) (?P<map>\d+) (?P<physical>{HEX}) (?P<virtual>{HEX}) (?P<length>{HEX}) "
                      rf"(?P<pc>{HEX}) (?P<pid>\d+)"),
    "UNMAP": re.compile(rf"UNMAP (?P<time>{TIME}) (?P<map>\d+) (?P<pc>{HEX}) (?P<pid>\d+)"),
    "MARK": re.compile(rf"MARK (?P<time>{TIME}) (?P<text>.*)"),
}
NUMBERS = {"width", "map", "physical", "value", "pc", "pid", "virtual", "length"}


def main(path):
    mapped = {}
    with open(path, encoding="utf-8", newline="\n") as file:
        lines = file.read().split("\n")
    assert lines.pop() == "" and lines[0].startswith("VERSION ")
    for line in lines:
        keyword = line.split(" ", 1)[0]
        match = LINES[keyword].fullmatch(line)
        assert match, line
        said = {"line": keyword, **match.groupdict()}
        for name in NUMBERS & said.keys():
            said[name] = int(said[name], 0)
        if keyword == "PCIDEV":
            said["bars"] = [int(bar, 16) for bar in said["bars"].split()]
            said["lengths"] = [int(length, 16) for length in said["lengths"].split()]
        if "time" in said:
            seconds, microseconds = said["time"].split(".")
            said["time"] = int(seconds) * 1_000_000 + int(microseconds)
        if keyword == "MAP":
            assert said["map"] not in mapped, line
            mapped[said["map"]] = said
        if keyword == "UNMAP":
            del mapped[said["map"]]
        if keyword in "RW":
            into = said["physical"] - mapped[said["map"]]["physical"]
            assert 0 <= into < mapped[said["map"]]["length"], line
            said["virtual"] = mapped[said["map"]]["virtual"] + into
        print(json.dumps(said))


main(sys.argv[1])

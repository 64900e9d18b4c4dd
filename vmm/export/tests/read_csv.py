"""Prints the rows of a CSV file as JSON objects, one a line."""

import csv
import json
import sys

with open(sys.argv[1], encoding="utf-8", newline="") as file:
    for row in csv.DictReader(file, strict=True):
        assert None not in row and None not in row.values()
        print(json.dumps(row))

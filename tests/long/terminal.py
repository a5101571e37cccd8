"""A terminal as far as the interface draws on it: a grid of characters, and which words came to be seen.

The interface draws only what changed since its last drawing, often single letters of a word, so its output has to be
carried out before words can be looked for. Colours are left out. A sequence that is not known here is an error:
skipping it could leave the grid wrong, and a word that is shown could be missed.
"""

import codecs
import re
import unicodedata

# A whole sequence, a run of characters, or a control character. An unfinished sequence matches nothing.
PIECE = re.compile(
    r"\x1b\[(?P<arguments>[0-?]*)[ -/]*(?P<does>[@-~])"
    r"|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)"
    r"|\x1b[^\[\]]"
    r"|(?P<text>[^\x00-\x1f\x7f]+)"
    r"|(?P<control>[\x00-\x1a\x1c-\x1f\x7f])"
)
# Colours, modes that do not move the grid, scroll regions that are reset, queries, the form of the cursor.
WITHOUT_EFFECT = frozenset("mrstqncu")


class UnknownSequence(Exception):
    """The program drew with something this terminal cannot do."""


class Screen:
    """A grid of `rows` by `columns`; `words` is a pattern of what is looked for."""

    def __init__(self, rows, columns, words):
        self.rows, self.columns, self.words = rows, columns, re.compile(words)
        self.decoder, self.pending = codecs.getincrementaldecoder("utf-8")("replace"), ""
        self.clear()
        self.row = self.column = 0

    def clear(self):
        self.grid = [[" "] * self.columns for _ in range(self.rows)]
        self.changed = set()

    def text(self):
        return "\n".join("".join(line).rstrip() for line in self.grid)

    def feed(self, output):
        """Carries out some bytes of output; the words that stand in rows that changed."""
        todo, at = self.pending + self.decoder.decode(output), 0
        while piece := PIECE.match(todo, at):
            at = piece.end()
            if text := piece["text"]:
                self.write(text)
            elif does := piece["does"]:
                self.carry_out(does, piece["arguments"])
            elif control := piece["control"]:
                self.control(control)
        self.pending = todo[at:]
        seen = {word for row in self.changed for word in self.words.findall("".join(self.grid[row]))}
        self.changed.clear()
        return seen

    def write(self, text):
        if self.column >= self.columns:
            return
        self.changed.add(self.row)
        line = self.grid[self.row]
        if text.isascii():
            fits = text[: self.columns - self.column]
            line[self.column : self.column + len(fits)] = fits
            self.column += len(fits)
            return
        for character in text:
            if unicodedata.combining(character) or self.column >= self.columns:
                continue
            line[self.column] = character
            wide = unicodedata.east_asian_width(character) in "WF"
            if wide and self.column + 1 < self.columns:
                line[self.column + 1] = ""
            self.column += 1 + wide

    def control(self, control):
        if control == "\r":
            self.column = 0
        elif control == "\n":
            self.row = min(self.row + 1, self.rows - 1)
        elif control == "\b":
            self.column = max(self.column - 1, 0)

    def carry_out(self, does, arguments):
        if does in WITHOUT_EFFECT:
            return
        if does in "hl":
            # The other screen is entered, or left.
            if arguments == "?1049":
                self.clear()
            return
        numbers = [int(number) if number else 0 for number in arguments.split(";")]
        first = max(numbers[0], 1)
        if does in "Hf":
            second = numbers[1] if len(numbers) > 1 else 1
            self.move(first - 1, max(second, 1) - 1)
        elif does in "AB":
            self.move(self.row + (first if does == "B" else -first), self.column)
        elif does in "CD":
            self.move(self.row, self.column + (first if does == "C" else -first))
        elif does == "G":
            self.move(self.row, first - 1)
        elif does == "d":
            self.move(first - 1, self.column)
        elif does == "J" and numbers[0] in (2, 3):
            self.clear()
        elif does == "J" and numbers[0] == 0:
            self.erase(self.row, self.column)
            for row in range(self.row + 1, self.rows):
                self.erase(row, 0)
        elif does == "K" and numbers[0] in (0, 2):
            self.erase(self.row, 0 if numbers[0] else self.column)
        else:
            raise UnknownSequence(f"the sequence {arguments!r} {does!r} is not known to tests/long/terminal.py")

    def move(self, row, column):
        self.row, self.column = min(max(row, 0), self.rows - 1), min(max(column, 0), self.columns - 1)

    def erase(self, row, column):
        self.grid[row][column:] = [" "] * (self.columns - column)
        self.changed.add(row)

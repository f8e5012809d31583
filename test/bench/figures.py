"""The raw figures of a run: what report.py and plots.py read."""
import os
import statistics


def lines(path, columns):
    """The lines of a file of tab separated columns, less its head, and less a
    last line that an interruption has cut."""
    if not os.path.exists(path):
        return []
    with open(path, encoding='utf-8') as file:
        rows = [line.rstrip('\n').split('\t') for line in file if line.endswith('\n')]
    return [row for row in rows[1:] if len(row) == columns]


class Run:
    """Figures by (stage, measure, subject, x) and round; what was told by key."""

    def __init__(self, folder):
        self.folder = folder
        self.told = {}
        for key, name, text in lines(os.path.join(folder, 'run.tsv'), 3):
            text = text.replace('\\\\', '\0').replace('\\n', '\n').replace('\0', '\\')
            self.told.setdefault(key, {})[name] = text
        self.figures = {}
        for stage, measure, subject, x, round_, value in lines(os.path.join(folder, 'figures.tsv'), 6):
            try:
                number = float(value)
            except ValueError:
                continue
            self.figures.setdefault((stage, measure, subject, x), {})[int(round_)] = number

    def about(self, key):
        return self.told.get(key, {})

    def titles(self):
        return self.about('kind')

    def rounds(self, stage, measure, subject, x=''):
        return self.figures.get((stage, measure, str(subject), str(x)), {})

    def has(self, stage):
        return any(key[0] == stage for key in self.figures)

    def xs(self, stage, measure):
        """The values of x that were measured, in rising order."""
        return sorted({int(key[3]) for key in self.figures if key[:2] == (stage, measure) and key[3]})

    def subjects(self, stage, measure):
        """Those with figures, in the order in which they were told of."""
        there = {key[2] for key in self.figures if key[:2] == (stage, measure)}
        known = list(self.about('call')) + list(self.titles())
        return sorted(there, key=lambda s: known.index(s) if s in known else len(known))

    def together(self, expression, *keys):
        """The expression of several figures, taken within each round that has all."""
        each = [self.rounds(*key) for key in keys]
        values = {}
        for round_ in (set.intersection(*map(set, each)) if each else ()):
            try:
                values[round_] = expression(*(figures[round_] for figures in each))
            except ZeroDivisionError:
                pass
        return values


def summary(values):
    """Median, least and greatest of the rounds; none without any."""
    numbers = list(values.values())
    return (statistics.median(numbers), min(numbers), max(numbers)) if numbers else None


def short(number):
    """Four figures, or all before the point."""
    if number == 0:
        return '0'
    places = 3 if abs(number) < 1 else 2 if abs(number) < 100 else 1 if abs(number) < 1000 else 0
    return f'{number:,.{places}f}'


def cell(values, scale=1):
    three = summary(values)
    if three is None:
        return 'not measured'
    median, least, greatest = (short(number * scale) for number in three)
    return median if least == greatest == median and len(values) == 1 else f'{median} ({least} to {greatest})'

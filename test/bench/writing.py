"""The pieces that the report is written with."""
import os

from figures import cell

text = []


def say(*paragraphs):
    for paragraph in paragraphs:
        text.extend([paragraph, ''])


def table(head, rows, numbers=True):
    text.append('| ' + ' | '.join(head) + ' |')
    text.append('| --- |' + ' ---: |' * (len(head) - 1) if numbers else '| ' + ' | '.join(['---'] * len(head)) + ' |')
    text.extend('| ' + ' | '.join(row) + ' |' for row in rows)
    text.append('')


def plural(count, what):
    return f'{count} {what}{"s" * (count > 1)}'


def commands(run, *names):
    for name in names:
        if name in run.about('command'):
            say('```text\n' + run.about('command')[name] + '\n```')


def plot(run, name, what):
    if os.path.exists(os.path.join(run.folder, f'{name}.svg')):
        say(f'![{what}]({name}.svg)')


def kinds_table(run, head, columns):
    """A line for each kind; a column is a function of the kind that gives a cell."""
    table(['', *head], [[title, *(column(kind) for column in columns)] for kind, title in run.titles().items()])


def of(run, stage, measure, x='', scale=1):
    return lambda kind: cell(run.rounds(stage, measure, kind, x), scale)


def against(run, stage, measure, other, x=''):
    return lambda kind: cell(run.together(lambda a, b: a / b, (stage, measure, kind, x), (stage, measure, other, x)))

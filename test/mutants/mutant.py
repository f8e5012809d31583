#!/usr/bin/env python3
"""Reads mutants (README.md tells their form) and applies them to a tree.

usage: mutant.py check [TREE]           does each still match, and name tests that exist?
       mutant.py apply NAME TREE        break the sources in TREE
"""
import os
import re
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
EDIT = re.compile(r'^---- find(?: in (\S+))?\n(.*?)^---- replace\n(.*?)(?=^---- find|\Z)', re.M | re.S)


class Mutant:
    def __init__(self, path):
        self.name = os.path.relpath(path, HERE)[:-len('.mutant')]
        text = open(path).read()
        head, _, rest = text.partition('\n----')
        fields = dict(re.findall(r'^(file|test|timeout): *(.*?) *$', head, re.M))
        self.sentence = re.split(r'^file:', head, flags=re.M)[0].strip()
        self.tests = fields.get('test', '').split()
        self.may_time_out = fields.get('timeout') == 'caught'
        self.edits = [(file or fields.get('file', ''), find.strip(), replace.strip())
                      for file, find, replace in EDIT.findall('----' + rest)]

    def files(self):
        return {file for file, _, _ in self.edits}

    def mutated(self, tree):
        """The new text of each file; a ValueError says why there is none."""
        texts = {}
        if not self.edits or not self.sentence or not self.tests:
            raise ValueError('lacks its sentence, its test or its edit')
        for file, find, replace in self.edits:
            path = os.path.join(tree, file)
            if file not in texts and not os.path.isfile(path):
                raise ValueError(f'there is no {file}')
            text = texts.get(file) or open(path).read()
            # Code that is only indented or wrapped anew still matches.
            matches = list(re.finditer(r'\s+'.join(map(re.escape, find.split())), text))
            if len(matches) != 1 or not find:
                raise ValueError(f'matches {len(matches)} times in {file}')
            start, end = matches[0].span()
            line = text[text.rfind('\n', 0, start) + 1:start]
            indent = line[:len(line) - len(line.lstrip())]
            texts[file] = text[:start] + replace.replace('\n', '\n' + indent) + text[end:]
        return texts


def all_mutants():
    paths = [os.path.join(folder, name) for folder, _, names in os.walk(HERE) for name in names]
    return [Mutant(path) for path in sorted(paths) if path.endswith('.mutant')]


def problems(mutant, tree):
    try:
        mutant.mutated(tree)
    except ValueError as error:
        yield str(error)
    for test in mutant.tests:
        if not os.path.isfile(os.path.join(tree, test)):
            yield f'there is no {test}'


def main(command, *arguments):
    if command == 'check':
        tree = arguments[0] if arguments else '.'
        mutants = all_mutants()
        wrong = [f'{mutant.name}: {problem}' for mutant in mutants for problem in problems(mutant, tree)]
        print('\n'.join(wrong) or f'All {len(mutants)} mutants match, and their tests exist.')
        return 1 if wrong or not mutants else 0
    name, tree = arguments
    mutant = Mutant(os.path.join(HERE, name + '.mutant'))
    for file, text in mutant.mutated(tree).items():
        open(os.path.join(tree, file), 'w').write(text)
    return 0


if __name__ == '__main__':
    sys.exit(main(*sys.argv[1:]) if len(sys.argv) > 1 else __doc__)

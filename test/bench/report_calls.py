"""The report on what makes IDs and stores none."""
import json
import os
import re

from figures import cell, short
from writing import commands, kinds_table, of, plot, plural, say, table


def cost(run):
    if not run.has('calls'):
        return
    call = run.about('call')
    say('## What a call costs', 'Nanoseconds a row of a scan, and what is left of them less an empty call: '
        '`pg_backend_pid()`, a C function that returns a variable. With one node bit the layout holds nothing back; '
        'the default layout allows an ID every 244 ns.')

    def row(name, title):
        return [title, f'`{call[name]}`', cell(run.rounds('calls', 'ns', name)),
                cell(run.together(lambda a, b: a - b, ('calls', 'ns', name), ('calls', 'ns', 'empty')))]

    base = [('none', 'no call'), ('empty', 'empty call'), ('clock', 'reading the clock'),
            ('text', 'a text as long as an ID with a prefix')]
    table(['', 'CALL', 'ns a row', 'less an empty call'], [row(*line) for line in [*base, *run.titles().items()]])
    commands(run, 'calls')

    say('### Each generating function', 'On one node bit. The overhead is over the plain call, of what both cost above '
        'a scan without a call; the functions that return rows stand where the scan does, and cost nothing above it.')

    def function(name, title):
        more = run.together(lambda a, plain, none: 100 * (a - plain) / (plain - none), ('calls', 'ns', name),
                            ('calls', 'ns', 'timeshard_1'), ('calls', 'ns', 'none'))
        alone = name in ('next_ids', 'series')
        ns = run.together(lambda a, plain: a - plain, ('calls', 'ns', name), ('calls', 'ns', 'timeshard_1'))
        return [title, f'`{call[name]}`', cell(run.rounds('calls', 'ns', name)), '' if alone else cell(ns),
                '' if alone else cell(more)]

    table(['', 'CALL', 'ns a row', 'ns above the plain call', 'overhead in %'],
          [function('timeshard_1', 'plain'), function('prefix', 'prefix'), function('prefix_at', 'inserted prefix'),
           function('format', 'formatted'), function('encode', 'base32'), function('next_ids', 'batch'),
           function('series', 'for comparison')])

    def ratio(a, b):
        return cell(run.together(lambda x, y: x / y, ('calls', 'ns', a), ('calls', 'ns', b)))

    table(['of whole scans', 'ratio'],
          [['plain / reading the clock', ratio('timeshard_1', 'clock')], ['plain / batch', ratio('timeshard_1', 'next_ids')],
           ['`generate_series` / batch', ratio('series', 'next_ids')]])
    commands(run, 'calls', 'honest')


def sessions(run):
    if run.has('sessions'):
        counts = run.xs('sessions', 'ids_per_s')
        say('## Many sessions', 'Million IDs a second of all sessions together.')
        plot(run, 'sessions', 'IDs a second of all sessions together, against their number')
        kinds_table(run, [str(count) for count in counts],
                    [of(run, 'sessions', 'ids_per_s', count, 1e-6) for count in counts])
        say('Processor time per ID in ns, of the server\'s processes, the start of the sessions included.')
        kinds_table(run, [str(count) for count in counts], [of(run, 'sessions', 'cpu_ns', count) for count in counts])
        commands(run, 'sessions')
    if run.has('layouts'):
        counts = run.xs('layouts', 'ids_per_s')
        say('## Layouts', 'Million IDs a second with so many sessions, the most that the layout allows, and ns a call in '
            'a scan.')
        plot(run, 'layouts', 'IDs a second of one session, against the layout')

        def row(bits):
            ceiling = (1000 << (22 - bits)) / 1e6
            return [plural(bits, 'node bit'), short(ceiling), *(cell(run.rounds('layouts', 'ids_per_s', bits, count), 1e-6)
                                                          for count in counts), cell(run.rounds('layouts', 'ns', bits))]

        layouts = sorted({int(key[2]) for key in run.figures if key[0] == 'layouts'})
        table(['', 'allowed', *(plural(count, 'session') for count in counts), 'ns a row'], [row(bits) for bits in layouts])
        commands(run, 'layouts', 'layout_calls')


def latency(run):
    shares = ['mean', 'p50', 'p90', 'p95', 'p99', 'p99.9', 'max']
    if run.has('server') or run.has('client'):
        say('## Latency of single calls')
    for place, what in (('server', 'Inside the server, µs:'), ('client', 'As a client sees it, µs:')):
        if run.has(place):
            say(what)
            lines = [('empty', 'empty call'), *run.titles().items()]
            table(['', *shares], [[title, *(cell(run.rounds(place, share, kind)) for share in shares)]
                                  for kind, title in lines])
            commands(run, place)
    core(run, shares)


def core(run, shares):
    path = os.path.join(run.folder, 'core.json')
    if not os.path.exists(path):
        return
    with open(path, encoding='utf-8') as file:
        entries = [e for e in json.load(file)['benchmarks'] if e.get('run_type') == 'iteration']
    groups = {}
    for entry in entries:
        groups.setdefault(entry['run_name'], []).append(entry)

    def three(name, counter):
        return cell(dict(enumerate(entry[counter] for entry in groups[name])))

    # Where threads are timed together, their own counter has what they used.
    def processor(name):
        own = 'processor_ns_per_id'
        return three(name, own if own in groups[name][0] else 'cpu_time')

    say('### From the core, without PostgreSQL', 'By Google Benchmark; ns.')
    def by_numbers(name):
        return [(int(part), '') if part.isdigit() else (0, part) for part in re.split(r'(\d+)', name)]

    def label(name):
        return re.sub('/(iterations:1|manual_time|real_time|process_time)(?=/|$)', '', name)

    timed = sorted((name for name in groups if 'p50_ns' in groups[name][0]), key=by_numbers)
    if timed:
        table(['', *shares], [[f'`{label(name)}`', *(three(name, f'{share}_ns') for share in shares)] for name in timed])
    others = sorted((name for name in groups if name not in timed), key=by_numbers)
    if others:
        table(['', 'ns an ID', 'processor ns an ID'],
              [[f'`{label(name)}`', three(name, 'real_time'), processor(name)] for name in others])
    commands(run, 'core')

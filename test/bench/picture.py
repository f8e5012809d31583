"""A picture in SVG: text, lines and bars on a background of its own, which is dark
where the reader's system is."""
from xml.sax.saxutils import escape

WIDTH = 700  # of a README's column
STYLE = '''
  text { font: 13px system-ui, sans-serif; fill: #57606a }
  .title { font-size: 15px; font-weight: 600; fill: #1f2328 }
  .small { font-size: 12px }
  text.ours { fill: #0b7a57; font-weight: 600 }
  line, polyline { fill: none; stroke: #8c959f; stroke-width: 1.5 }
  line.ours, polyline.ours { stroke: #0b7a57; stroke-width: 3; stroke-linejoin: round }
  .bar { fill: #b6bdc5 }
  circle, .bar.ours { fill: #0b7a57 }
  line.grid { stroke: #e4e7eb; stroke-width: 1 }
  line.spread, line.spread.ours { stroke-width: 1; opacity: 0.6 }
  line.whisker { stroke: #57606a; stroke-width: 1 }
  polyline.ceiling { stroke: #1f2328; stroke-dasharray: 6 4 }
  text.ceiling { fill: #1f2328 }
  .paper { fill: #ffffff }
  @media (prefers-color-scheme: dark) {
    text { fill: #9198a1 }
    .title, text.ceiling { fill: #f0f6fc }
    line, polyline { stroke: #6e7681 }
    line.ours, polyline.ours { stroke: #3fb950 }
    .bar { fill: #4b535d }
    text.ours, circle, .bar.ours { fill: #3fb950 }
    line.grid { stroke: #262c36 }
    line.whisker { stroke: #c9d1d9 }
    polyline.ceiling { stroke: #f0f6fc }
    .paper { fill: #0d1117 }
  }
'''


class Picture:
    def __init__(self, height, title):
        self.height = height
        self.parts = [f'<title>{escape(title)}</title>', f'<style>{STYLE}</style>',
                      f'<rect class="paper" width="{WIDTH}" height="{height}" rx="6"/>']
        self.text(16, 28, title, 'title')

    def text(self, x, y, words, kind='', anchor='start'):
        self.parts.append(f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}" text-anchor="{anchor}">{escape(words)}</text>')

    def line(self, x1, y1, x2, y2, kind=''):
        self.parts.append(f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{kind}"/>')

    def lines(self, points, kind=''):
        self.parts.append(f'<polyline points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in points)}" class="{kind}"/>')

    def dot(self, x, y):
        self.parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5"/>')

    def bar(self, x, y, width, height, kind=''):
        self.parts.append(f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" class="bar {kind}"/>')

    def write(self, path):
        with open(path, 'w', encoding='utf-8') as file:
            file.write(f'<svg xmlns="http://www.w3.org/2000/svg" role="img" width="{WIDTH}" height="{self.height}" '
                       f'viewBox="0 0 {WIDTH} {self.height}">\n' + '\n'.join(self.parts) + '\n</svg>\n')


def apart(wanted, gap):
    """The places nearest to the wanted ones, in their order, with a gap between any two."""
    groups = []
    for i in sorted(range(len(wanted)), key=lambda i: wanted[i]):
        groups.append([i])

        def middle(group):
            return sum(wanted[i] for i in group) / len(group)

        def overlap(a, b):
            return middle(b) - middle(a) < gap * (len(a) + len(b)) / 2

        while len(groups) > 1 and overlap(*groups[-2:]):
            last = groups.pop()
            groups[-1] += last
    places = [0.0] * len(wanted)
    for group in groups:
        start = sum(wanted[i] for i in group) / len(group) - gap * (len(group) - 1) / 2
        for k, i in enumerate(group):
            places[i] = start + gap * k
    return places

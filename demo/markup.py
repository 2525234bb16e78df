"""The only place that builds HTML from values: every value is escaped.

A checkpoint may come from anybody, so its texts and numbers may contain tags. `Markup` is a string
that is known to be safe; a test refuses HTML that is built in any other way.
"""

from collections.abc import Iterable

import gradio as gr
from markupsafe import Markup


def html(template: str, **values: object) -> Markup:
    """Fill values into a template.

    Args:
        template: HTML with `{name}` fields, written in the source and nowhere else.
        values: The values. All but `Markup` are escaped; they may stand in quoted attributes.

    Returns:
        HTML that is safe to show.
    """
    return Markup(template).format(**values)


def join(parts: Iterable[object], between: str = "") -> Markup:
    """Join parts; all but `Markup` are escaped.

    Args:
        parts: The parts.
        between: Text to put between them.

    Returns:
        HTML that is safe to show.
    """
    return Markup.escape(between).join(Markup.escape(part) for part in parts)


def table(
    rows: Iterable[Iterable[object]], *, header: Iterable[object] = (), numbers: bool = True
) -> Markup:
    """Lay out a table of two or more columns.

    Args:
        rows: The cells of each row.
        header: Titles of the columns; empty for none.
        numbers: Whether to align the last column to the right, as usual for numbers.

    Returns:
        HTML.
    """

    def line(cells: Iterable[object], cell: str, last: str) -> Markup:
        *most, end = cells
        return html(
            "<tr>{most}{end}</tr>",
            most=join(html(cell, value=value) for value in most),
            end=html(last, value=end),
        )

    number = '<td class="number">{value}</td>' if numbers else "<td>{value}</td>"
    body = join(line(row, "<td>{value}</td>", number) for row in rows)
    titles = tuple(header)
    if not titles:
        return html('<table class="ff-table">{body}</table>', body=body)
    number = '<th class="number">{value}</th>' if numbers else "<th>{value}</th>"
    return html(
        '<table class="ff-table"><thead>{head}</thead><tbody>{body}</tbody></table>',
        head=line(titles, "<th>{value}</th>", number),
        body=body,
    )


def panel(title: str, *parts: Markup) -> Markup:
    """Lay out parts in a frame with a title."""
    return html(
        '<div class="ff-panel"><h2>{title}</h2>{parts}</div>', title=title, parts=join(parts)
    )


def text(value: object) -> Markup:
    """Lay out a paragraph of small text."""
    return html('<p class="ff-text">{value}</p>', value=value)


def figures(values: dict[str, str]) -> Markup:
    """Lay out figures side by side: name -> value."""
    cells = (
        html('<div class="ff-figure"><b>{value}</b><span>{name}</span></div>', value=v, name=name)
        for name, v in values.items()
    )
    return html('<div class="ff-figures">{cells}</div>', cells=join(cells))


def show(content: Markup, elem_id: str | None = None) -> gr.HTML:
    """Show HTML on the page.

    Args:
        content: HTML that this module built.
        elem_id: The element's id.

    Returns:
        The component.
    """
    return gr.HTML(content, elem_id=elem_id)

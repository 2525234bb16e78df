"""What the About tab does in the browser."""

STATUS_SCRIPT = 'element.setAttribute("role", "status");'

BUSY_SCRIPT = (
    "() => 'The file is being made. This takes some seconds, or minutes on a slow server.'"
)


def press(elem_id: str) -> str:
    """Return a script that presses a button that has just got its file.

    Args:
        elem_id: The button's id, letters, digits, `-` and `_`.
    """
    return f"() => {{ setTimeout(() => document.getElementById('{elem_id}')?.click(), 200); }}"

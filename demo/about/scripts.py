"""The scripts of the About tab."""

STATUS_SCRIPT = 'element.setAttribute("role", "status");'

BUSY_SCRIPT = "() => 'The file is being made. This takes seconds, or minutes on a slow server.'"


def press(elem_id: str) -> str:
    """Return a script that clicks a download button whose file has just been set.

    Args:
        elem_id: The button's id, which consists of letters, digits, `-` and `_`.
    """
    return f"() => {{ setTimeout(() => document.getElementById('{elem_id}')?.click(), 200); }}"

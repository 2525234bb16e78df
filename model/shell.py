"""Commands that people copy from a message, quoted for the shell of this system."""

import os
import re
import shlex

_PLAIN = re.compile(r"[\w.:@+=,/\\-]+")  # what cmd and PowerShell take without quotation marks


def quote(text: str, *, windows: bool = os.name == "nt") -> str:
    """Write a text as one word of a command.

    Args:
        text: The text, such as a path.
        windows: Whether the shell is cmd or PowerShell. Neither allows a backslash before a space,
            and cmd does not know single quotation marks.

    Returns:
        The word, in quotation marks if it needs them.
    """
    if not windows:
        return shlex.quote(text)
    if _PLAIN.fullmatch(text):
        return text
    return '"' + text.replace('"', '\\"') + '"'


def copy_folder(source: str, target: str, *, windows: bool = os.name == "nt") -> str:
    """Return a command that creates a folder and copies the content of another one into it.

    Args:
        source: The folder to copy from.
        target: The folder to create.
        windows: See `quote`.
    """
    if windows:
        return f"robocopy {quote(source, windows=True)} {quote(target, windows=True)} /E"
    place = quote(target, windows=False)
    return f"mkdir -p {place} && cp -R {quote(f'{source}/.', windows=False)} {place}"

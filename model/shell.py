"""Commands that people copy from a message: quoted for the shell of this system."""

import os
import re
import shlex

_PLAIN = re.compile(r"[\w.:@+=,/\\-]+")  # what cmd and PowerShell take without quotation marks


def quote(text: str, *, windows: bool = os.name == "nt") -> str:
    """Write a text as one word of a command.

    Args:
        text: Such as a path.
        windows: Whether the shell is cmd or PowerShell, which know no backslash before a space,
            and cmd no single quotation marks.

    Returns:
        The word, in quotation marks where it needs them.
    """
    if not windows:
        return shlex.quote(text)
    if _PLAIN.fullmatch(text):
        return text
    return '"' + text.replace('"', '\\"') + '"'


def copy_folder(source: str, target: str, *, windows: bool = os.name == "nt") -> str:
    """Write the command that copies what is in a folder into another one, which it makes.

    Args:
        source: The folder that is there.
        target: The folder to be.
        windows: As `quote`.
    """
    if windows:
        return f"robocopy {quote(source, windows=True)} {quote(target, windows=True)} /E"
    place = quote(target, windows=False)
    return f"mkdir -p {place} && cp -R {quote(f'{source}/.', windows=False)} {place}"

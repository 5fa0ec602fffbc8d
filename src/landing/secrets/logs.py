"""Redacts what libraries log and warn of."""

from __future__ import annotations

import logging

from landing.errors import printable_lines
from landing.secrets.redaction import redacted


class Redaction(logging.Filter):
    """Redacts what libraries log, and makes it printable: it quotes what APIs say."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = printable_lines(redacted(record.getMessage())), ()
        if record.exc_info:
            trace = logging.Formatter().formatException(record.exc_info)
            record.exc_info, record.exc_text = None, printable_lines(redacted(trace))
        if record.stack_info:
            record.stack_info = printable_lines(redacted(record.stack_info))
        return True


REDACTION = Redaction()


class _Warnings(logging.Handler):
    """Prints Python's warnings where no log has them, which `logging` itself would swallow."""

    def emit(self, record: logging.LogRecord) -> None:
        if logging.lastResort is not None and not logging.getLogger().handlers:
            logging.lastResort.handle(record)


_warnings = _Warnings()


def log_no_secrets(*names: str) -> None:
    """Redacts everything that is logged under these names, whatever the handler, and all that goes
    to standard error because there is no handler, such as Python's warnings.

    This lasts until the process ends, as the threads of a source may warn at any time. A program
    that embeds a source gets its warnings from the logger `py.warnings`.
    """
    logging.captureWarnings(True)
    logging.getLogger("py.warnings").addHandler(_warnings)
    if logging.lastResort is not None:
        logging.lastResort.addFilter(REDACTION)
    loggers = [logging.getLogger(name) for name in names]
    children = [
        logging.getLogger(name)
        for name in list(logging.root.manager.loggerDict)
        if name.startswith(tuple(f"{name}." for name in names))
    ]
    for logger in (*loggers, *children):  # a logger's filter does not apply to its children
        logger.addFilter(REDACTION)
        for handler in logger.handlers:
            handler.addFilter(REDACTION)

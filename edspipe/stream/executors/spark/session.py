"""Spark sessions: the one that is there, or one of our own that leaves nothing behind."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from typing import Any

from edspipe.errors import ConfigError, EdspipeError
from edspipe.optional import require
from edspipe.stream.executors.spark import daemon

MAX_TASK_FAILURES = 4
"""How often a task may fail; the default of a cluster, where local mode would not try again."""
JVM_EXIT_TIMEOUT_S = 10.0
"""What the Java process gets to end by itself."""
LOOPBACK = "127.0.0.1"


def require_spark() -> Any:
    """Import pyspark.

    Raises:
        MissingExtraError: It is not installed.
    """
    require("pyspark", "spark", "Spark")
    return require("pyspark.sql", "spark", "Spark")


def active_session() -> Any | None:
    """Return the session that is running in this process, if there is one."""
    return require_spark().SparkSession.getActiveSession()


def check_classic(frame: Any) -> None:
    """Refuse frames of Spark Connect.

    Raises:
        ConfigError: The frame is of a session without a SparkContext.
    """
    if not hasattr(frame, "_jdf"):
        raise ConfigError(
            "expected a DataFrame of a classic Spark session, got one of Spark Connect, which has "
            "no broadcasts: start the session with spark-submit or SparkSession.builder.master(...)"
        )


@contextlib.contextmanager
def local_session(
    num_cores: int | None = None,
    config: Mapping[str, str] | None = None,
    log_level: str = "OFF",
) -> Iterator[Any]:
    """Start a Spark session on this machine, and stop it at the end.

    It listens on the loopback only, and its Python workers run this interpreter. Afterwards the
    environment, the handler of Ctrl-C and the processes are as before.

    Args:
        num_cores: Tasks that run at once; None takes all cores.
        config: Further settings of Spark, by name.
        log_level: What Spark logs once it has started; failures reach the caller in any case.

    Raises:
        ConfigError: A session is running already, or there is no Java.
    """
    spark = require_spark()
    if shutil.which("java") is None and "JAVA_HOME" not in os.environ:
        raise ConfigError("Spark needs Java 17 or later: install it, or set JAVA_HOME")
    if active_session() is not None:
        raise ConfigError("a Spark session is running already: use that one, or stop it")
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="edspipe-spark-"))
        stack.enter_context(_same_signals())
        stack.enter_context(_own_jvm())
        builder = spark.SparkSession.builder.master(_master(num_cores)).appName("edspipe")
        for name, value in {**_settings(folder), **(config or {})}.items():
            builder = builder.config(name, value)
        with _environment():
            session = builder.getOrCreate()
        stack.callback(session.stop)
        session.sparkContext.setLogLevel(log_level)
        yield session


def _master(num_cores: int | None) -> str:
    return f"local[{num_cores or '*'},{MAX_TASK_FAILURES}]"


def _settings(folder: str) -> dict[str, str]:
    return {
        "spark.driver.bindAddress": LOOPBACK,
        "spark.driver.host": LOOPBACK,
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.local.dir": folder,
        "spark.python.daemon.module": daemon.__name__,
        f"spark.executorEnv.{daemon.PRELOAD}": ",".join(_loaded()),
        "spark.executorEnv.PYTHONPATH": os.pathsep.join(_own_paths()),
        "spark.sql.warehouse.dir": f"{folder}/warehouse",
    }


def _loaded() -> list[str]:
    """Our modules that are loaded here, and with them what they need; and what Spark needs."""
    ours = sorted(name for name in sys.modules if name.startswith("edspipe."))
    return ["pyspark.worker", "pandas", *ours]


def _own_paths() -> list[str]:
    """Where this process finds modules that are not installed, e.g. beside a script."""
    installed = (sys.prefix, sys.base_prefix)
    paths = [os.path.abspath(path) for path in sys.path]
    return [path for path in paths if not path.startswith(installed)]


@contextlib.contextmanager
def _environment() -> Iterator[None]:
    """Spark reads variables while it starts, and sets some of its own; none stays."""
    before = dict(os.environ)
    ours = {"PYSPARK_PYTHON": sys.executable, "PYSPARK_DRIVER_PYTHON": sys.executable}
    os.environ.update({**ours, "SPARK_LOCAL_IP": LOOPBACK})
    try:
        yield
    finally:
        for name in set(os.environ) - set(before):
            del os.environ[name]
        os.environ.update(before)


@contextlib.contextmanager
def _same_signals() -> Iterator[None]:
    """Put the handler of Ctrl-C back, which Spark replaces."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGINT)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextlib.contextmanager
def _own_jvm() -> Iterator[None]:
    """End the Java process, if it was started inside."""
    context = require("pyspark", "spark", "Spark").SparkContext
    had_one = context._gateway is not None
    try:
        yield
    finally:
        gateway = context._gateway
        if gateway is not None and not had_one:
            context._gateway = context._jvm = None
            _end(gateway)


def _end(gateway: Any) -> None:
    with contextlib.suppress(Exception):
        gateway.shutdown()
    process = getattr(gateway, "proc", None)
    if process is None:
        return
    if process.stdin is not None:
        process.stdin.close()  # Java ends when nobody can write to it any more
    try:
        process.wait(JVM_EXIT_TIMEOUT_S)
    except Exception:
        process.kill()
        process.wait()


def session_of(frame: Any) -> Any:
    """Return the session that a frame belongs to.

    Raises:
        ConfigError: The frame is of Spark Connect.
    """
    check_classic(frame)
    return frame.sparkSession


def given_session(session: Any | None) -> Any:
    """Return the session given, or the one that is running.

    Raises:
        EdspipeError: There is none.
    """
    found = active_session() if session is None else session
    if found is None:
        raise EdspipeError(
            "no Spark session is running: pass session=, or run inside "
            "`with edspipe.stream.executors.spark.session.local_session():`"
        )
    return found

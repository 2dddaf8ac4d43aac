"""Start this package's kernel in a pod of gateway_provisioners, in place of the launcher of the same name.

Put it into the image as /usr/local/bin/kernel-launchers/python/scripts/launch_ipykernel.py: `bootstrap-kernel.sh` runs it. As the one that it replaces,
it answers the gateway by the listener of gateway_provisioners, and then becomes the kernel, under the process id that the
listener sends signals to.
"""

import argparse
import os
import sys
import tempfile

from server_listener import setup_server_listener  # of gateway_provisioners, beside this file

LIMITS = '{"memory": "3500MB", "cell_seconds": "1h"}'
"""Of each kernel. The memory lies below the pod's."""


def main() -> None:
    parser = argparse.ArgumentParser()
    for name in ("kernel-id", "port-range", "response-address", "public-key", "transport-encryption"):
        parser.add_argument(f"--{name}")
    given, _ = parser.parse_known_args()  # what is about Spark is not ours
    low, _, high = (given.port_range or "0..0").partition("..")
    descriptor, connection_file = tempfile.mkstemp(suffix=".json", prefix=f"kernel-{given.kernel_id}_")
    os.close(descriptor)
    encryption = given.transport_encryption if given.transport_encryption in {"auto", "required"} else None
    setup_server_listener(
        connection_file,
        os.getpid(),
        int(low),
        int(high),
        given.response_address,
        given.kernel_id,
        given.public_key,
        "none",
        encryption,
    )
    kernel = ["-P", "-m", "marimo_kernel_bridge", "kernel", "--limits", LIMITS, "-f", connection_file]
    os.execv(sys.executable, [sys.executable, *kernel])  # noqa: S606  # it becomes the kernel


if __name__ == "__main__":
    main()

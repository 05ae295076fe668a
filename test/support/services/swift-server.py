"""A whole OpenStack Swift in one process, which speaks S3: python3 swift-server.py FOLDER PORT

As Swift's own functional tests run it: one device without replicas, every server on 127.0.0.1. The data lies in FOLDER
and is found again when it is started once more.
"""
import os
import sys

import eventlet

eventlet.monkey_patch()

import eventlet.wsgi
from eventlet import listen
from swift.common import utils
from swift.common.ring import RingBuilder
from swift.common.wsgi import SwiftHttpProtocol, loadapp

KINDS = ("account", "container", "object")
ACCESS_KEY, SECRET_KEY = "test:tester", "testing"

SWIFT_CONF = """
[swift-hash]
swift_hash_path_suffix = test
[storage-policy:0]
name = only
default = yes
"""

STORAGE_CONF = """
[DEFAULT]
swift_dir = {folder}
devices = {folder}/devices
mount_check = false
disable_fallocate = true
[app:main]
use = egg:swift#{kind}
"""

PROXY_CONF = """
[DEFAULT]
swift_dir = {folder}
[pipeline:main]
pipeline = catch_errors gatekeeper healthcheck listing_formats bulk s3api tempauth slo proxy-server
[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
allow_account_management = true
# one device: nothing to write to elsewhere, and nobody to ask when it is busy
node_timeout = 30
error_suppression_limit = 1000000
[filter:tempauth]
use = egg:swift#tempauth
user_test_tester = testing .admin
[filter:s3api]
use = egg:swift#s3api
location = us-east-1
[filter:catch_errors]
use = egg:swift#catch_errors
[filter:gatekeeper]
use = egg:swift#gatekeeper
[filter:healthcheck]
use = egg:swift#healthcheck
[filter:listing_formats]
use = egg:swift#listing_formats
[filter:bulk]
use = egg:swift#bulk
[filter:slo]
use = egg:swift#slo
"""


class NoCache:
    """Stands for memcached, which parts of Swift insist on and all of them can do without."""

    def get(self, *args, **options):
        return None

    def get_multi(self, keys, *args, **options):
        return [None for _ in keys]

    def set(self, *args, **options):
        pass

    set_multi = delete = incr = decr = set

    def __init__(self, app):
        self.app = app

    def __call__(self, env, start_response):
        env["swift.cache"] = self
        return self.app(env, start_response)


def write(folder, name, text):
    path = os.path.join(folder, name)
    with open(path, "w") as file:
        file.write(text)
    return path


def make_ring(folder, kind, port):
    ring = RingBuilder(part_power=1, replicas=1, min_part_hours=0)
    ring.add_dev({"id": 0, "region": 1, "zone": 1, "weight": 1, "device": "disk", "ip": "127.0.0.1", "port": port})
    ring.rebalance()
    ring.get_ring().save(os.path.join(folder, kind + ".ring.gz"))


def serve(socket, app):
    # as swift.common.wsgi.run_server does: S3 clients want "ETag", not "Etag"
    eventlet.wsgi.server(
        socket,
        app,
        log=utils.NullLogger(),
        protocol=SwiftHttpProtocol,
        capitalize_response_headers=False,
        socket_timeout=60,
    )


def main(folder, port):
    os.makedirs(os.path.join(folder, "devices", "disk"), exist_ok=True)
    write(folder, "swift.conf", SWIFT_CONF)
    utils.set_swift_dir(folder)
    running = []
    for kind in KINDS:
        socket = listen(("127.0.0.1", 0), backlog=500)
        make_ring(folder, kind, socket.getsockname()[1])
        conf = write(folder, kind + "-server.conf", STORAGE_CONF.format(folder=folder, kind=kind))
        running.append((socket, conf))
    proxy = write(folder, "proxy-server.conf", PROXY_CONF.format(folder=folder))
    running.append((listen(("127.0.0.1", port), backlog=500, reuse_addr=True), proxy))
    threads = [eventlet.spawn(serve, socket, NoCache(loadapp(conf))) for socket, conf in running]
    for thread in threads:
        thread.wait()


main(os.path.abspath(sys.argv[1]), int(sys.argv[2]))

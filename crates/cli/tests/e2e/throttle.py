"""A way between two addresses that lets so many bytes through: throttle.py LISTEN TARGET FOLDER.

FOLDER/limit holds how many bytes may pass in all, FOLDER/passed how many have, both directions together.
"""
import socket
import sys
import threading
import time

listen, target, folder = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
lock = threading.Lock()
passed = 0


def limit():
    with open(folder + "/limit") as file:
        return int(file.read() or 0)


def pump(source, sink):
    global passed
    try:
        while data := source.recv(65536):
            while True:
                with lock:
                    if passed + len(data) <= limit():
                        passed += len(data)
                        break
                time.sleep(0.01)
            sink.sendall(data)
            with lock, open(folder + "/passed", "w") as file:
                file.write(str(passed))
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        source.close()
        sink.close()


server = socket.create_server(("127.0.0.1", listen))
while True:
    one, _ = server.accept()
    other = socket.create_connection(("127.0.0.1", target))
    for pair in [(one, other), (other, one)]:
        threading.Thread(target=pump, args=pair, daemon=True).start()

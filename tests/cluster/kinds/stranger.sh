#!/bin/sh
# What somebody outside of the mesh may ask, and may not. Run by pods of strangers.yaml.
refuses() {
    if timeout 5 wget -q -O /dev/null "$1"; then
        echo "$1 answers a stranger"
        exit 1
    fi
}
refuses http://server.weft-kinds/
refuses http://server.weft-kinds:9090/
for namespace in weft-kinds-permissive weft-kinds-outside; do
    wget -q -O /dev/null "http://server.$namespace/" || exit 1
done

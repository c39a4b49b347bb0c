# seen.sh URL LINE: waits until the page at URL has exactly this line.
tries=0
until curl -s "$1" | grep -qxF -- "$2"; do
    tries=$((tries + 1))
    [ "$tries" -lt 600 ] || { echo "never seen: $2"; exit 1; }
    sleep 0.1
done

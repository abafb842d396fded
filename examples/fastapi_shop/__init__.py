"""A shop that texts its customers about their orders, exactly once, although its process may be killed at any moment.

    pip install 'smsc-async[cli,fastapi,phones,sandbox]'
    smsc-async sandbox --port 8025                                           # in another terminal
    export SMSC_URL=http://127.0.0.1:8025/sys/soap.php SMSC_APIKEY=demo      # or yours, and your credentials
    uvicorn examples.fastapi_shop.app:app                                    # one worker; more are refused

    curl -X PUT http://127.0.0.1:8000/orders/17 --json '{"phone": "+79991234567", "item": "a kettle"}'

Then open http://127.0.0.1:8000/orders/17/page. How it works:

- `outbox.py`: an order and the message about it are written in one transaction. The id of the message is made from the
  number of the order, and each attempt is counted on the disk before it begins.
- `sender.py`: a second attempt passes `attempt=2`: the client asks the service for this id before it sends anything.
- `app.py`: customers may repeat a request that failed. Callbacks and the status page keep the status up to date.
- `kills.py`: `python -m examples.fastapi_shop.kills --kills 100` kills the shop under load and counts the messages.

A database server instead of SQLite: `claim` with `FOR UPDATE SKIP LOCKED`, an age after which a claim of another
process is taken over, and guards that all processes share (`Guards(RedisStore.from_url(...))`).
"""

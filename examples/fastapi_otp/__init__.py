"""Login by a code that comes by SMS, or by a voice call if the SMS is not delivered.

    pip install 'smsc-async[cli,fastapi,phones,redis,sandbox]'
    smsc-async sandbox --port 8025                                           # in another terminal; it shows the codes
    export SMSC_URL=http://127.0.0.1:8025/sys/soap.php SMSC_APIKEY=demo      # or yours, and your credentials
    export OTP_SECRET=$(python -c 'import secrets; print(secrets.token_hex())')
    uvicorn examples.fastapi_otp.app:app                                     # more --workers: export REDIS_URL=... too

    curl http://127.0.0.1:8000/login/codes --json '{"phone": "+79991234567"}'
    curl http://127.0.0.1:8000/login --json '{"phone": "+79991234567", "code": "123456"}'

- `codes.py`: who gets a code and how often, how long it is valid, and how often one may guess.
- `app.py`: the routes, the limit for money, and the call.
- `test_login.py`: its tests, with nothing but the fixtures of smsc_async's plugin of pytest.

Behind a proxy, run uvicorn with `--forwarded-allow-ips`, so that the address of the user is the real one. The limits
for a phone also let others use them up: offer another way to log in.
"""

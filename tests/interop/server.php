<?php
// A stock PHP SoapServer for the tests, run by `php -S` with three environment variables: JUDGE_WSDL, the file that
// `?wsdl` serves; JUDGE_CALLS, where each call is written as a line of JSON; JUDGE_SCRIPT, a JSON object that says what
// each method answers: {"fields": {...}}, {"fault": [code, string]} or {"crash": true}. A method that the script leaves
// out answers with its own arguments as JSON in the field `error`.

const AS_IT_IS = JSON_UNESCAPED_UNICODE | JSON_UNESCAPED_SLASHES | JSON_THROW_ON_ERROR;

final class Judge
{
    public function get_balance($fields) { return $this->answer('get_balance', $fields, 'balanceresult'); }
    public function send_sms($fields) { return $this->answer('send_sms', $fields, 'sendresult'); }
    public function send_sms2($fields) { return $this->answer('send_sms2', $fields, 'sendresult'); }
    public function get_sms_cost($fields) { return $this->answer('get_sms_cost', $fields, 'costresult'); }
    public function get_sms_cost2($fields) { return $this->answer('get_sms_cost2', $fields, 'costresult'); }
    public function get_status($fields) { return $this->answer('get_status', $fields, 'statusresult'); }
    public function get_status2($fields) { return $this->answer('get_status2', $fields, 'statusresult'); }

    private function answer(string $method, ?object $fields, string $result): array
    {
        $query = [];
        if (is_string($fields->query ?? null)) {
            parse_str($fields->query, $query);
        }
        $call = [
            'method' => $method,
            'fields' => $fields,
            'query' => (object) $query,
            'soap_action' => $_SERVER['HTTP_SOAPACTION'] ?? null,
        ];
        file_put_contents(getenv('JUDGE_CALLS'), json_encode($call, AS_IT_IS) . "\n", FILE_APPEND);

        $script = json_decode(file_get_contents(getenv('JUDGE_SCRIPT')), true, flags: JSON_THROW_ON_ERROR);
        $answer = $script[$method] ?? ['fields' => ['error' => json_encode($fields, AS_IT_IS)]];
        if (isset($answer['crash'])) {
            throw new RuntimeException('nobody catches this');
        }
        if (isset($answer['fault'])) {
            throw new SoapFault(...$answer['fault']);
        }
        return [$result => $answer['fields']];
    }
}

$server = new SoapServer(getenv('JUDGE_WSDL'), ['cache_wsdl' => WSDL_CACHE_NONE]);
$server->setObject(new Judge());
$server->handle();

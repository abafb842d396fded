<?php
// PHP's SoapClient for peers.py and campaign.py: php peers_client.php <url> <warm-up> <seconds> status|send
[, $url, $warm, $seconds, $what] = $argv;
ini_set('soap.wsdl_cache_enabled', '0');
$client = new SoapClient("$url?wsdl", ['keep_alive' => true]);
$number = 0;

function cpu(): float {
    $usage = getrusage();
    return $usage['ru_utime.tv_sec'] + $usage['ru_stime.tv_sec']
        + ($usage['ru_utime.tv_usec'] + $usage['ru_stime.tv_usec']) / 1e6;
}

foreach ([(float) $warm, (float) $seconds] as $length) {
    [$cpu, $start, $made] = [cpu(), microtime(true), 0];
    while (microtime(true) < $start + $length) {
        $number++;
        $phone = '+' . (79990000000 + $number);
        if ($what === 'send') {
            $text = "Здравствуйте! Ваш заказ $number готов, приходите до 21:00";
            $client->send_sms(['apikey' => 'benchmark', 'phones' => $phone, 'mes' => $text, 'id' => "a$number"]);
        } else {
            $client->get_status(['apikey' => 'benchmark', 'phone' => $phone, 'id' => 'a1', 'all' => 0]);
        }
        $made++;
    }
    [$cpu, $took] = [cpu() - $cpu, microtime(true) - $start];
}
$memory = getrusage()['ru_maxrss'] / 1024;
echo json_encode(['cpu' => $cpu / $made * 1e6, 'rate' => $made / $took, 'memory' => $memory]), "\n";

<?php
// Call a task of gearfleet from PHP, and print its result as JSON.
//
//     php call.php 127.0.0.1:4730 shop.worker_foo.greet '["Ada"]'
//
// Needs the extension gearman (Debian: php-gearman). With
// GEARFLEET_SIGNING_KEY the job is signed.

[, $server, $function, $args] = $argv;
$payload = $body = '{"v":1,"args":' . $args . '}';

if ($secret = getenv('GEARFLEET_SIGNING_KEY')) {
    $key = hash_hmac('sha256', 'gearfleet payload', $secret, true);
    $signature = hash_hmac('sha256', "gearfleet/1 envelope $function \n$body", $key);
    $payload = "gearfleet/1 envelope $signature\n$body";
}

[$host, $port] = explode(':', $server);
$client = new GearmanClient();
$client->addServer($host, (int) $port);

$exit = 1;
$client->setWarningCallback(fn (GearmanTask $task) => fwrite(STDERR, $task->data() . "\n"));
$client->setFailCallback(fn () => fwrite(STDERR, "$function failed\n"));
$client->setCompleteCallback(function (GearmanTask $task) use (&$exit) {
    echo $task->data(), "\n";
    $exit = 0;
});
$client->addTask($function, $payload);
if (!$client->runTasks()) {
    fwrite(STDERR, $client->error() . "\n");
}
exit($exit);

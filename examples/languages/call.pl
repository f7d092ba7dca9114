#!/usr/bin/perl
# Call a task of gearfleet from Perl, and print its result as JSON.
#
#     perl call.pl 127.0.0.1:4730 shop.worker_foo.greet '["Ada"]'
#
# Needs Gearman::Client (Debian: libgearman-client-perl). With
# GEARFLEET_SIGNING_KEY the job is signed.
use strict;
use warnings;
use Digest::SHA qw(hmac_sha256 hmac_sha256_hex);
use Gearman::Client;
use Gearman::Task;

my ($server, $function, $args) = @ARGV;
my $body    = qq({"v":1,"args":$args});
my $payload = $body;

if (my $secret = $ENV{GEARFLEET_SIGNING_KEY}) {
    my $key       = hmac_sha256("gearfleet payload", $secret);
    my $signature = hmac_sha256_hex("gearfleet/1 envelope $function \n$body", $key);
    $payload = "gearfleet/1 envelope $signature\n$body";
}

my $why    = "no reason given";
my $client = Gearman::Client->new(job_servers => [$server]);
my $task   = Gearman::Task->new($function, \$payload, { on_warning => sub { $why = ${ $_[0] } } });
my $result = $client->do_task($task);
die "$function failed: $why\n" unless defined $result;
print "$$result\n";

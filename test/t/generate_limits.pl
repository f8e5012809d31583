# Input at the limits of what a value can hold. Apart from pg_regress, because
# it needs a few GB of memory.
use strict;
use warnings FATAL => 'all';

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Timeshard;

my $node = new_cluster('limits', conf => "timeshard.node_id = 3\ntimeshard.max_clock_jump = 0\n", clock => 1);

# The largest text there is, so that no ID fits behind it.
my $out = $node->safe_psql('postgres', <<'SQL');
CREATE TABLE refused (call text, bytes integer, state text, message text);
DO $$
DECLARE
    longest text := repeat(repeat('x', 32767), 32768) || repeat('x', 32763);
    call text;
BEGIN
    FOREACH call IN ARRAY ARRAY['timeshard_next_id_with_prefix($1)', 'timeshard_prefix_at($1, 4)',
                                'timeshard_format(1, $1)', 'timeshard_parse($1)',
                                'timeshard_parse($1, $1)', $s$timeshard_parse('ORD_1', $1)$s$] LOOP
        BEGIN
            EXECUTE 'SELECT ' || call USING longest;
        EXCEPTION WHEN OTHERS THEN
            INSERT INTO refused VALUES (call, octet_length(longest), SQLSTATE, left(SQLERRM, 20));
        END;
    END LOOP;
END
$$;
SELECT * FROM refused;
SELECT timeshard_next_id() > 0;
SQL
is($out, <<'EXPECTED' . 't', 'a prefix of 1 GB is refused, and the session goes on');
timeshard_next_id_with_prefix($1)|1073741819|54000|prefix is too long
timeshard_prefix_at($1, 4)|1073741819|54000|prefix is too long
timeshard_format(1, $1)|1073741819|54000|prefix is too long
timeshard_parse($1)|1073741819|22P02|invalid ID: "xxxxxxx
timeshard_parse($1, $1)|1073741819|22P02|invalid ID: "xxxxxxx
timeshard_parse('ORD_1', $1)|1073741819|22P02|invalid ID: "ORD_1"
EXPECTED

# Nothing is lost by bad input: while the clock stands still, the IDs before and
# after a refused call follow one another.
set_clock($node, '2030-01-01 00:00:00');
my $longest = q{repeat(repeat('x', 32767), 32768) || repeat('x', 32763)};
for my $call (q{timeshard_prefix_at('x', 20)}, q{timeshard_prefix_at('x', -1)},
    "timeshard_prefix_at($longest, 4)", "timeshard_next_id_with_prefix($longest)")
{
    my $first = $node->safe_psql('postgres', 'SELECT timeshard_next_id()');
    my ($rc) = $node->psql('postgres', "SELECT $call");
    my $next = $node->safe_psql('postgres', 'SELECT timeshard_next_id()');
    is("$rc " . ($next - $first), '3 1', "$call takes no ID");
}

$node->stop;
done_testing();

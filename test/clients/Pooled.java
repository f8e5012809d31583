import java.sql.*;
import java.util.*;

/**
 * JDBC, for clients_pgbouncer_prepared.pl: with "count", says at which run a statement is prepared, with "batch" at which a
 * batch is; else runs both on one server connection of two, and then on the other, with "do-not" as a client that
 * prepares nothing.
 */
public class Pooled {
    static Connection connect(String more) throws SQLException {
        Map<String, String> env = System.getenv();
        return DriverManager.getConnection("jdbc:postgresql://" + env.get("PGHOST") + ":" + env.get("PGPORT") + "/"
            + env.get("PGDATABASE") + "?user=" + env.get("PGUSER") + more);
    }

    static int insert(PreparedStatement insert) throws SQLException {
        insert.setString(1, "Ada");
        try (ResultSet row = insert.executeQuery()) {
            row.next();
            return row.getInt("pid");
        }
    }

    static void insertBatch(Connection connection) throws SQLException {
        PreparedStatement insert = connection.prepareStatement("INSERT INTO customers (name) VALUES (?)", new String[] {"id"});
        for (String name : List.of("Ada", "Grace")) {
            insert.setString(1, name);
            insert.addBatch();
        }
        insert.executeBatch();
    }

    static Set<Integer> insertTen(PreparedStatement insert) throws SQLException {
        insertBatch(insert.getConnection());
        Set<Integer> pids = new HashSet<>();
        for (int run = 0; run < 10; run++) {
            pids.add(insert(insert));
        }
        return pids;
    }

    static PreparedStatement prepared(String more) throws SQLException {
        return connect(more).prepareStatement("INSERT INTO customers (name) VALUES (?) RETURNING id, pg_backend_pid() AS pid");
    }

    static void take(Connection connection) throws SQLException {
        connection.setAutoCommit(false);
        connection.createStatement().execute("SELECT 1");
    }

    public static void main(String[] arguments) throws SQLException {
        String more = arguments[0].equals("do-not") ? "&prepareThreshold=0" : "";
        PreparedStatement insert = prepared(more);
        boolean batch = arguments[0].equals("batch");
        if (batch || arguments[0].equals("count")) {
            for (int run = 1; run < 20; run++) {
                if (batch) {
                    insertBatch(insert.getConnection());
                } else {
                    insert(insert);
                }
                ResultSet row = insert.getConnection().createStatement().executeQuery("SELECT count(*) FROM pg_prepared_statements");
                row.next();
                if (row.getInt(1) > 0) {
                    System.out.println("first " + run);
                    return;
                }
            }
            return;
        }

        // One is taken: the client prepares on the other, and so does a second client. (A lost statement the driver
        // prepares anew by itself.) Then that one is taken instead.
        Connection first = connect("&prepareThreshold=0");
        Connection second = connect("&prepareThreshold=0");
        take(first);
        Set<Integer> before = insertTen(insert);
        before.addAll(insertTen(prepared(more)));
        take(second);
        first.commit();
        Set<Integer> after = insertTen(insert);
        second.commit();
        boolean both = before.size() == 1 && after.size() == 1 && !before.equals(after);
        System.out.println(both ? "runs on both connections" : before + " " + after);
    }
}

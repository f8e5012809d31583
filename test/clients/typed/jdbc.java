import java.sql.*;
import java.util.*;

public class Sales {
    static final String[] KEY = {"id"};

    public static void main(String[] arguments) throws SQLException {
        try (Connection connection = DriverManager.getConnection(arguments[0])) {
            String buyer;
            try (PreparedStatement insert = connection.prepareStatement("INSERT INTO buyers (name) VALUES (?)", KEY)) {
                insert.setString(1, "Ada");
                insert.executeUpdate();
                ResultSet keys = insert.getGeneratedKeys();
                keys.next();
                buyer = keys.getString("id");
            }
            try (PreparedStatement insert = connection.prepareStatement("INSERT INTO sales (buyer_id, item) VALUES (?, ?)")) {
                for (String item : List.of("lamp", "chair", "table", "rug")) {
                    insert.setString(1, buyer);
                    insert.setString(2, item);
                    insert.addBatch();
                }
                insert.executeBatch();
            }
            try (PreparedStatement query = connection.prepareStatement("SELECT item FROM sales WHERE buyer_id = ? ORDER BY id")) {
                query.setString(1, buyer);
                ResultSet page = query.executeQuery();
                while (page.next()) {
                    System.out.println(buyer.substring(0, 4) + " " + page.getString("item"));
                }
            }
        }
    }
}

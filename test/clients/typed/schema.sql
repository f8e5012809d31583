SELECT timeshard_create_type('buyer_id', 'BUY_'), timeshard_create_type('sale_id', 'SAL_');

CREATE TABLE buyers (
    id   buyer_id PRIMARY KEY DEFAULT timeshard_next_id(),
    name text NOT NULL
);
CREATE TABLE sales (
    id       sale_id PRIMARY KEY DEFAULT timeshard_next_id(),
    buyer_id buyer_id NOT NULL REFERENCES buyers,
    item     text NOT NULL
);

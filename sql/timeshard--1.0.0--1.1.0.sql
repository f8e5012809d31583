\echo Use "ALTER EXTENSION timeshard UPDATE TO '1.1.0'" to load this file. \quit

class Customer < ActiveRecord::Base; end
class Order < ActiveRecord::Base; end

ada = Customer.create!(name: 'Ada')
rows = %w[lamp chair table rug].map { |item| { customer_id: ada.id, item: item } }
puts "#{ada.id} #{Order.insert_all!(rows, returning: :id).rows.flatten}"

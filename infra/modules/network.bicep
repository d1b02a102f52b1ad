// Private networking: a virtual network that the app sends from, private endpoints of the storage account in it, and one
// outbound address. The app's own address stays public: it has a function key, and packages are deployed to it.

import { Tags } from 'types.bicep'

@description('The name of the virtual network.')
param name string

@description('The beginning of the names of private endpoints.')
param endpointPrefix string

@description('The name of the NAT gateway; empty: the network has another way out.')
param natGatewayName string

@description('The name of the public address of the NAT gateway.')
param publicAddressName string

@description('The region.')
param location string

@description('The tags.')
param tags Tags

@description('The address space; two subnets of 32 addresses are taken from it.')
param addressSpace string

@description('The storage account.')
param storageAccountName string

@description('The services of the storage account that the app and the host use.')
var services = ['blob', 'queue', 'table']

resource storageAccount 'Microsoft.Storage/storageAccounts@2026-06-01' existing = {
  name: storageAccountName
}

resource publicAddress 'Microsoft.Network/publicIPAddresses@2026-03-01' = if (!empty(natGatewayName)) {
  name: publicAddressName
  location: location
  tags: tags
  sku: { name: 'Standard' }
  properties: { publicIPAllocationMethod: 'Static' }
}

resource natGateway 'Microsoft.Network/natGateways@2026-03-01' = if (!empty(natGatewayName)) {
  name: natGatewayName
  location: location
  tags: tags
  sku: { name: 'Standard' }
  properties: { publicIpAddresses: [{ id: publicAddress.id }] }
}

resource network 'Microsoft.Network/virtualNetworks@2026-03-01' = {
  name: name
  location: location
  tags: tags
  properties: {
    addressSpace: { addressPrefixes: [addressSpace] }
    subnets: [
      {
        name: 'app'
        properties: {
          addressPrefix: cidrSubnet(addressSpace, 27, 0)
          defaultOutboundAccess: false
          natGateway: empty(natGatewayName) ? null : { id: natGateway.id }
          delegations: [{ name: 'flex-consumption', properties: { serviceName: 'Microsoft.App/environments' } }]
        }
      }
      {
        name: 'private-endpoints'
        properties: { addressPrefix: cidrSubnet(addressSpace, 27, 1), defaultOutboundAccess: false }
      }
    ]
  }

  resource endpointSubnet 'subnets' existing = {
    name: 'private-endpoints'
  }
}

resource zones 'Microsoft.Network/privateDnsZones@2024-06-01' = [
  for service in services: {
    name: 'privatelink.${service}.${environment().suffixes.storage}'
    location: 'global'
    tags: tags
  }
]

resource links 'Microsoft.Network/privateDnsZones/virtualNetworkLinks@2024-06-01' = [
  for (service, i) in services: {
    parent: zones[i]
    name: name
    location: 'global'
    tags: tags
    properties: { registrationEnabled: false, virtualNetwork: { id: network.id } }
  }
]

resource endpoints 'Microsoft.Network/privateEndpoints@2026-03-01' = [
  for service in services: {
    name: '${endpointPrefix}${service}'
    location: location
    tags: tags
    properties: {
      subnet: { id: network::endpointSubnet.id }
      privateLinkServiceConnections: [
        { name: service, properties: { privateLinkServiceId: storageAccount.id, groupIds: [service] } }
      ]
    }
  }
]

resource zoneGroups 'Microsoft.Network/privateEndpoints/privateDnsZoneGroups@2026-03-01' = [
  for (service, i) in services: {
    parent: endpoints[i]
    name: 'default'
    properties: { privateDnsZoneConfigs: [{ name: service, properties: { privateDnsZoneId: zones[i].id } }] }
    dependsOn: [links[i]]
  }
]

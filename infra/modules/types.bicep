// Types that several templates use.

@export()
@description('Tags of resources.')
type Tags = {
  @description('The value of a tag.')
  *: string
}

@export()
@description('Application settings of the function app. No secrets.')
type AppSettings = {
  @description('The value of a setting.')
  *: string
}
